"""What Scumble's plug-ins share, whatever their host: the standard library of Python 3.8 and nothing else.

A **host** is Krita or GIMP. Its **canvas** reads and writes its documents, its **loop** runs things on the thread that
may touch them. The **studio** conducts: it takes pixels from the canvas, has the **desk** send them to the daemon and
follow the job, and puts what comes back into the document. Everything that waits does so off the host's thread.
"""
